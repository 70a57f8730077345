"""One outside thing each: the homeserver, the database, the mail server, files, PDFs."""
