"""Everything of the runtimes that has tensors: the server process, and the making of the demo model. Imports
no Django.
"""
