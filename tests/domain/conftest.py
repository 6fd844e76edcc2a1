"""Generated examples on the pure floor: no time limit each, since a busy machine is no fault of the rule."""

from hypothesis import settings

settings.register_profile("steady", deadline=None)
settings.load_profile("steady")
