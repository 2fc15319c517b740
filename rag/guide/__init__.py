"""The guide to Atrium: a collection of the demonstration, so that a newcomer can ask about Atrium at once.
Its pages lie beside this module, a folder for each language.
"""
