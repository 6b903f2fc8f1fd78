"""People: found by letters of their names, and by id for scripts."""

JSON = {"Accept": "application/json"}


async def test_people_are_found_by_letters_of_their_names(client, cast):
    page = await client(cast.linus).get(
        "/people?q=GRA", headers={"Accept": "text/html"}
    )
    assert "@grace" in page.text
    assert "@ada" not in page.text
    nobody = await client(cast.linus).get("/people?q=zzz")
    assert "Nobody here is called that" in nobody.text


async def test_scripts_ask_for_names_by_id(client, cast):
    path = f"/people?ids={cast.ada.id},{cast.grace.id},999"
    answer = await client(cast.linus).get(path, headers=JSON)
    assert {user["name"] for user in answer.json["users"]} == {"ada", "grace"}


async def test_ids_that_are_none_are_refused(client, cast):
    for ids in ("x", "1,,2", ",".join(["1"] * 101)):
        answer = await client(cast.ada).get(f"/people?ids={ids}", headers=JSON)
        assert (answer.status, answer.code) == (400, "bad_request")


async def test_strangers_see_nobody(client, cast):
    answer = await client().get(f"/people?ids={cast.ada.id}", headers=JSON)
    assert answer.status == 401
