"""Runs the test suites of PEFT, and of libraries that build PEFT configs, plain and with peft-strict switched on."""
