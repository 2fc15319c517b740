"""How the servers of HTTP end."""

from config.settings import env

# a stream takes as long as its answer: most are over by then, and orchestrators kill after 30 s unless told
DRAIN_S = env.read_count("ATRIUM_DRAIN_S", default=20, most=600)
