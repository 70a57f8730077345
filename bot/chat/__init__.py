"""Words in, replies out: parsing, dispatching and rendering of what is said in a room."""
