"""The portal, its realm and checkers, password hashing, SASL and throttling."""
