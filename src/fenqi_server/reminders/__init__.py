"""Reminders: what is due soon, today or late, what could not be collected, and that everything is paid."""
