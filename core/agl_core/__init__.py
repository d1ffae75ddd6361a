"""The engine of agl-adapters: framework-agnostic prompt optimization.

Import names from `agl_adapters`; this package holds what does not depend on any agent framework.
"""
