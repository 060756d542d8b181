"""Certificates from a certification authority by ACME: when, which, proved how, kept where."""
