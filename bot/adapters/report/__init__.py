"""Opinion and certificate on paper: typesetting, the hospital's small PKI, signatures and the seal, and their check."""
