"""The processes of one server: the first, the further ones, and what goes between them."""
