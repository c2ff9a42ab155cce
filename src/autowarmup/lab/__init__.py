"""Everything that makes and shows evidence; it uses the library and is never used by it."""
