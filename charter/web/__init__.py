"""The doors for people: one blueprint an audience; they translate and decide nothing."""
