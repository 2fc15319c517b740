"""The steps of a call, in their order: authenticate, resolve, admit, guard, reserve, dispatch, relay, settle.
The pipeline takes them; none knows another but admit and settle, which ask reserve for the highest use.
"""
