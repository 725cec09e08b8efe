"""Parts of `nbvlm.batch`: where pictures come from, the journal, the limits, the crew, the cluster."""
