"""Cards: everything that members see, as Discord components. Pure."""
