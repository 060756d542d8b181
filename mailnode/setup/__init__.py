"""From a bare machine to mail that arrives: what ``mailnode setup`` does, one item a file, as often as it is run."""
