"""How much can be lost: exposure, measures, reports."""
