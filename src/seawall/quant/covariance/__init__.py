"""How assets vary together: estimators, their repair, and what they rest on."""
