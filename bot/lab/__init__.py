"""A hospital in a folder: a homeserver, physicians' encrypted clients and a mail server, for the demo, the lab and the tests."""
