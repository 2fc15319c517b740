"""The jail: untrusted bytes (documents, archives, model files) are read in a process of their own, which sees
nothing of the house and ends at its limits. `run.run_jailed` is the way in, `state.describe_jail` says which
walls this machine has, `inside` is what runs in there.
"""
