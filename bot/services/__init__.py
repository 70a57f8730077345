"""The verbs of the trade: each one asks the domain and writes one transaction."""
