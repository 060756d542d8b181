"""How mail programs set themselves up: their settings in each of the forms that programs ask for, and as a page for people."""
