"""The objects that protocols hold: they run units, and publish after COMMIT."""
