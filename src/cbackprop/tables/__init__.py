"""Tables of one's own: read, their target chosen, their columns made into what a network takes."""
