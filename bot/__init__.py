"""Consilium: second opinions between physicians, on an end-to-end encrypted Matrix homeserver."""
