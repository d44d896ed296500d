"""One folder for each thing a person can do. Between features only `service.py` is visible."""
