"""Runs the table of ways in on every combination of releases that is claimed to work, and tells the results."""
