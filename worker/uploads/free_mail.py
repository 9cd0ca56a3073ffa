"""Domains at which anybody can have a mailbox: they name no company.

Short on purpose, and ours: the lists that packages have take in thousands of domains
that nobody has looked at, companies' own among them, and one wrongly on it refuses a
customer's file. These are the large providers of the world and of the countries that
customers are in. A disposable domain more or less does no harm: it makes one company.
"""

_WORLD = """
aol.com fastmail.com fastmail.fm gmail.com gmx.com gmx.net googlemail.com hey.com
hotmail.com hushmail.com icloud.com inbox.com live.com mac.com mail.com mail.ru me.com
msn.com outlook.com pm.me proton.me protonmail.ch protonmail.com qq.com rocketmail.com
sina.com tuta.com tutanota.com tutanota.de yahoo.com yandex.com yandex.ru ymail.com
zoho.com zohomail.com zohomail.eu 126.com 163.com bk.ru list.ru naver.com rediffmail.com
"""
_AMERICA = """
att.net bellsouth.net charter.net comcast.net cox.net earthlink.net juno.com rogers.com
sbcglobal.net shaw.ca sympatico.ca verizon.net videotron.ca bol.com.br terra.com.br
uol.com.br yahoo.ca yahoo.com.ar yahoo.com.br yahoo.com.mx hotmail.ca
"""
_EUROPE = """
hotmail.be live.be outlook.be proximus.be scarlet.be skynet.be telenet.be voo.be
yahoo.be belgacom.net
free.fr hotmail.fr laposte.net live.fr neuf.fr numericable.fr orange.fr outlook.fr
sfr.fr wanadoo.fr yahoo.fr bbox.fr club-internet.fr
hetnet.nl home.nl hotmail.nl kpnmail.nl live.nl outlook.nl planet.nl quicknet.nl
upcmail.nl xs4all.nl ziggo.nl
arcor.de freenet.de gmx.de hotmail.de live.de mail.de online.de outlook.de posteo.de
t-online.de web.de yahoo.de gmx.at aon.at gmx.ch bluewin.ch
hotmail.es outlook.es telefonica.net yahoo.es terra.es
hotmail.it libero.it live.it outlook.it tiscali.it virgilio.it yahoo.it alice.it tin.it
blueyonder.co.uk btinternet.com hotmail.co.uk live.co.uk ntlworld.com sky.com
talktalk.net virginmedia.com yahoo.co.uk outlook.ie eircom.net
o2.pl onet.pl wp.pl interia.pl seznam.cz centrum.cz sapo.pt
"""

DOMAINS = frozenset(f"{_WORLD}{_AMERICA}{_EUROPE}".split())
