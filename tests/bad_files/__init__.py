"""Files that are not as they should be: made from good ones, and what may come of reading them."""
