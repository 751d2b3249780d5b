"""Is a derivative right? Finite differences with error bars, and comparison entry by entry."""
