"""What several slices share: input types, and statements that belong to no single resource."""
