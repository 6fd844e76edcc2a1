"""Properties are checked by their outcome: how busy the machine is decides nothing."""

from hypothesis import settings

settings.register_profile("steady", deadline=None)
settings.load_profile("steady")
