"""The tools of `agents/catalogue.yaml` at work on the plant: `PlantWorkshop` is what the scheduler uses."""
