"""All that is known about PEFT and its releases. Imports no other wing."""
