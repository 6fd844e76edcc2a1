from tests.journeys.visitors import *
from tests.journeys.test_one_signature import confirm
def test_x(centre, visit):
    person = Person(lang="en")
    o = visit(lang="en"); o.sign(person); confirm(o, centre.postbox, person)
    r = visit(staff="en"); r.open_dossier(person); print(r.path)
    r.page.locator("[name=action][value=approve]").check()
    r.page.locator("[name=csrf_token]").evaluate_all("(all) => all.forEach((one) => { one.value = 'old' })")
    r.press(f".form:has([name=action]) {SUBMIT}")
    print(r.path, r.main)
    assert 0
