"""Cards: everything that members see, as Discord components; without side effects."""
