"""HubSpot's own client for Python does its ordinary calls against the sandbox."""

import json

import pytest
from hubspot.crm import companies, contacts, lists, owners, properties
from hubspot.crm.associations import v4 as associations


@pytest.fixture
def part(sandbox):
    """Makes one of the client's parts, led to the sandbox."""

    def make(package):
        configuration = package.Configuration(host=f"{sandbox.url}/hubspot")
        configuration.access_token = "token"
        return package.ApiClient(configuration=configuration)

    return make


KINDS = {
    "contacts": (contacts, {"email": "Ada@Engine.example", "firstname": "Ada"}),
    "companies": (companies, {"domain": "engine.example", "name": "Engine"}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_is_created_read_changed_listed_and_archived(part, kind):
    package, values = KINDS[kind]
    basic = package.BasicApi(part(package))
    new = package.SimplePublicObjectInputForCreate(properties=values, associations=[])
    made = basic.create(new)
    name = next(iter(values))
    assert made.properties[name] == values[name].lower()
    assert basic.get_by_id(made.id).properties[name] == values[name].lower()
    change = package.SimplePublicObjectInput(properties={"phone": "+1 555"})
    basic.update(made.id, change)
    shown = basic.get_by_id(made.id, properties=["phone", name])
    assert shown.properties["phone"] == "+1 555"
    second = basic.create(
        package.SimplePublicObjectInputForCreate(properties={"phone": "2"})
    )
    page = basic.get_page(limit=1, properties=["phone"])
    assert [one.id for one in page.results] == [made.id]
    rest = basic.get_page(limit=1, after=page.paging.next.after)
    assert ([one.id for one in rest.results], rest.paging) == ([second.id], None)
    basic.archive(made.id)
    assert [one.id for one in basic.get_page().results] == [second.id]
    with pytest.raises(package.ApiException) as gone:
        basic.get_by_id(made.id)
    assert gone.value.status == 404


def test_records_are_written_and_read_in_batches(part):
    api = part(contacts)
    batch, search = contacts.BatchApi(api), contacts.SearchApi(api)
    properties.CoreApi(part(properties)).create(
        "contacts",
        properties.PropertyCreate(
            name="our_id",
            label="Our id",
            type="string",
            field_type="text",
            group_name="contactinformation",
            has_unique_value=True,
        ),
    )
    made = batch.create(
        contacts.BatchInputSimplePublicObjectBatchInputForCreate(
            inputs=[
                contacts.SimplePublicObjectBatchInputForCreate(
                    properties={"email": f"p{n}@x.example", "our_id": f"p{n}"},
                    associations=[],
                )
                for n in range(3)
            ]
        )
    )
    assert (made.status, len(made.results)) == ("COMPLETE", 3)
    ids = {one.properties["our_id"]: one.id for one in made.results}
    batch.update(
        contacts.BatchInputSimplePublicObjectBatchInput(
            inputs=[
                contacts.SimplePublicObjectBatchInput(
                    id=ids["p0"], properties={"firstname": "Ada"}
                )
            ]
        )
    )
    upserted = batch.upsert(
        contacts.BatchInputSimplePublicObjectBatchInputUpsert(
            inputs=[
                contacts.SimplePublicObjectBatchInputUpsert(
                    id=name, id_property="our_id", properties={"lastname": "Byron"}
                )
                for name in ("p0", "p9")
            ]
        )
    )
    assert sorted(one.new for one in upserted.results) == [False, True]
    read = batch.read(
        contacts.BatchReadInputSimplePublicObjectId(
            id_property="our_id",
            properties=["firstname", "lastname"],
            properties_with_history=[],
            inputs=[contacts.SimplePublicObjectId(id="p0")],
        )
    )
    (ada,) = read.results
    assert (ada.properties["firstname"], ada.properties["lastname"]) == ("Ada", "Byron")
    wanted = contacts.Filter(property_name="lastname", operator="EQ", value="Byron")
    found = search.do_search(
        contacts.PublicObjectSearchRequest(
            filter_groups=[contacts.FilterGroup(filters=[wanted])],
            properties=["our_id"],
            sorts=[],
            limit=10,
            after="0",
        )
    )
    assert found.total == 2
    gone = [contacts.SimplePublicObjectId(id=one) for one in ids.values()]
    batch.archive(contacts.BatchInputSimplePublicObjectId(inputs=gone))
    assert len(contacts.BasicApi(api).get_page().results) == 1


def test_properties_owners_lists_and_associations_are_there(part):
    core = properties.CoreApi(part(properties))
    names = {one.name for one in core.get_all("contacts").results}
    assert "email" in names
    assert core.get_by_name("contacts", "email").has_unique_value
    people = owners.OwnersApi(part(owners))
    first = people.get_page(limit=1).results[0]
    assert people.get_by_id(first.id).email == first.email
    kept = lists.ListsApi(part(lists))
    made = kept.create(
        lists.ListCreateRequest(
            name="Fair", object_type_id="0-1", processing_type="MANUAL"
        )
    )
    list_id = made.list.list_id
    assert kept.get_by_id(list_id).list.name == "Fair"
    assert kept.get_by_name("Fair", "0-1").list.list_id == list_id
    api = part(contacts)
    ada = contacts.BasicApi(api).create(
        contacts.SimplePublicObjectInputForCreate(properties={"firstname": "Ada"})
    )
    added = lists.MembershipsApi(part(lists)).add(list_id, [ada.id])
    assert added.records_ids_added == [ada.id]
    engine = companies.BasicApi(part(companies)).create(
        companies.SimplePublicObjectInputForCreate(properties={"name": "Engine"})
    )
    pair = associations.PublicDefaultAssociationMultiPost(
        _from=associations.PublicObjectId(id=ada.id),
        to=associations.PublicObjectId(id=engine.id),
    )
    linked = associations.BatchApi(part(associations)).create_default(
        "contacts",
        "companies",
        associations.BatchInputPublicDefaultAssociationMultiPost(inputs=[pair]),
    )
    assert linked.status == "COMPLETE"
    kept.remove(list_id)


def test_what_is_not_spoken_is_an_error_that_the_client_understands(part):
    api = part(contacts)
    basic, search = contacts.BasicApi(api), contacts.SearchApi(api)
    new = contacts.SimplePublicObjectInputForCreate
    linked = contacts.PublicAssociationsForObject(
        types=[contacts.AssociationSpec("HUBSPOT_DEFINED", 279)],
        to=contacts.PublicObjectId(id="1"),
    )
    for call in (
        lambda: basic.get_page(archived=True),
        lambda: basic.get_page(properties_with_history=["email"]),
        lambda: basic.get_page(associations=["companies"]),
        lambda: basic.create(new(properties={}, associations=[linked])),
        lambda: search.do_search(
            contacts.PublicObjectSearchRequest(
                query="ada",
                filter_groups=[],
                properties=[],
                sorts=[],
                limit=1,
                after="0",
            )
        ),
        lambda: search.do_search(
            contacts.PublicObjectSearchRequest(
                filter_groups=[], properties=[], sorts=["email"], limit=1, after="0"
            )
        ),
        lambda: core_archive(part),
    ):
        with pytest.raises((contacts.ApiException, properties.ApiException)) as refused:
            call()
        assert refused.value.status == 501
        body = json.loads(refused.value.body)
        assert (body["status"], body["category"]) == ("error", "NOT_IMPLEMENTED")
        assert body["correlationId"]
    assert basic.get_page().results == []


def core_archive(part):
    properties.CoreApi(part(properties)).archive("contacts", "phone")
