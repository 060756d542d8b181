"""Mail that moves in and out: sources and targets of import and export."""
