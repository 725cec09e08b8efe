"""What `nbvlm.demo.service` is made of: requests read strictly, jobs, assets, two dialects."""
