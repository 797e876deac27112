"""One small program for each library, as a user would write it: right, or with the usual mistake."""
