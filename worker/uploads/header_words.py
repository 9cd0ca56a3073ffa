"""What people call the columns that mean something, in six languages, folded.

Folded is what `column_mapping.folded` makes of a name: no case, spaces, `-` and `_`;
accents go here too. English, French, German, Dutch, Spanish and a few of Italian.
"""

import unicodedata

from worker.quotes.readers.column_mapping import folded

EMAIL, PROFILE = "email", "profile_url"
"""What is no field of ours, and an id can be derived from."""

_WORDS = {
    "company_id": """
        companyid|accountid|organizationid|organisationid|customerid|clientid|orgid
        companyrecordid|recordidcompany|companykey|companynumber|accountnumber|crn
        idsociete|identifiantsociete|identifiantentreprise|identreprise|numeroclient
        codeclient|siren|firmenid|unternehmensid|firmennummer|kundennummer|kundenid
        bedrijfsid|bedrijfid|klantnummer|klantid|ondernemingsnummer|kvknummer|kbonummer
        idempresa|idcliente|codigocliente|numerocliente|cif|idazienda
    """,
    "company_name": """
        company|companyname|account|accountname|organization|organisation
        organizationname|organisationname|employer|business|businessname|firm|customer
        client|clientname|customername|societe|nomsociete|nomdelasociete|entreprise
        nomentreprise|nomdelentreprise|raisonsociale|organisme|firma|firmenname
        unternehmen|unternehmensname|kunde|kundenname|bedrijf|bedrijfsnaam|onderneming
        naambedrijf|klant|klantnaam|organisatie|empresa|nombreempresa|nombredelaempresa
        razonsocial|compania|cliente|azienda|ragionesociale
    """,
    "company_domain": """
        domain|companydomain|companydomainname|domainname|website|websiteurl|web|webpage
        homepage|companywebsite|companyurl|site|siteweb|siteinternet|domaine|nomdedomaine
        webseite|webadresse|internetseite|domane|domanenname|firmenwebsite|website
        websitebedrijf|domein|domeinnaam|sitioweb|paginaweb|dominio|sitoweb
    """,
    "person_id": """
        personid|contactid|leadid|userid|memberid|employeeid|recordidcontact|prospectid
        contactrecordid|idcontact|identifiantcontact|idpersonne|kontaktid|personenid
        ansprechpartnerid|contactpersoonid|persoonid|idcontacto|idpersona
    """,
    "first_name": """
        firstname|givenname|forename|fname|first|prenom|prenoms|vorname|voornaam|nombre
        nombredepila|primernombre|nome|roepnaam
    """,
    "last_name": """
        lastname|familyname|surname|lname|last|nom|nomdefamille|nachname|familienname
        zuname|achternaam|familienaam|apellido|apellidos|primerapellido|cognome
    """,
    "title": """
        jobtitle|title|position|jobposition|role|function|job|occupation|headline
        fonction|poste|titre|intitule|intituleduposte|metier|titel|funktion|stelle
        berufsbezeichnung|beruf|functie|functietitel|jobtitel|cargo|puesto|titulo
        funcion|posizione|ruolo|organizationtitle
    """,
    EMAIL: """
        email|emailaddress|mail|mailaddress|workemail|businessemail|primaryemail|email1
        adressemail|adresseemail|courriel|adresseelectronique|mailadresse|emailadresse
        epost|emailadres|mailadres|correo|correoelectronico|direccioncorreo|posta
        indirizzoemail|email1value
    """,
    PROFILE: """
        linkedin|linkedinurl|linkedinprofile|linkedinprofileurl|personlinkedinurl
        profileurl|profilelink|contactlinkedinurl|profillinkedin|urlprofil|linkedinprofil
        linkedinprofiel|perfillinkedin|xing|xingprofil
    """,
}

_BY_WORD = {
    word.strip(): meaning
    for meaning, words in _WORDS.items()
    for line in words.split("\n")
    for word in line.split("|")
    if word.strip()
}


def meaning_of(name: str) -> str | None:
    """What a column of this name usually is: a field of ours, `EMAIL` or `PROFILE`."""
    plain = unicodedata.normalize("NFKD", folded(name))
    letters = [one for one in plain if not unicodedata.combining(one)]
    return _BY_WORD.get("".join(letters).translate(_MARKS))


_MARKS = str.maketrans("", "", "'\u2019.:*()#/")
