"""What a person does: real flows, with the unchanged client of Prefect."""
