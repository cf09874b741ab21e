"""What the fake back end is made of: a disk in memory, and an interpreter of a little shell."""
