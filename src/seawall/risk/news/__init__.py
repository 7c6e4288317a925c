"""What is news of a user's risk: reports that were kept, and limits that were broken."""
