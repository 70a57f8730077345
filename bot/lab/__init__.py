"""A hospital in a folder: homeserver, encrypted clients, mail server; for the demo, the lab and the tests."""
