from fastapi import FastAPI

app = FastAPI()


@app.get("/league/v2/fake")
def fake():
    return 1
