"""The steps of a call, in their order: authenticate, admit, resolve, guard, reserve, dispatch, relay, settle.
The pipeline takes them; none knows another but settle, which asks reserve for the price.
"""
