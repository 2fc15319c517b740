"""Words that tell in German what is a name and what is none."""

_DETERMINERS = """
der die das des dem den ein eine einen einem einer eines kein keine keinen keinem keiner keines dieser
diese dieses diesen diesem jeder jede jedes jeden jedem jener jene jenes welche welcher welches alle
aller allen beide beiden mehrere mehrerer einige einiger viele vieler wenige sämtliche manche solche
solcher im am zum zur vom beim ins ans aufs fürs durchs ihr ihre ihrer ihren ihrem ihres sein seine
seiner seinen seinem seines mein meine unser unsere unserer unseren dein deine euer eure dessen deren
etwas nichts wie als pro je ohne
"""
_MEASURES = """
prozent million millionen milliarde milliarden tausend hundert dutzend euro dollar mark franken meter
kilometer meilen liter tonnen gramm kilogramm grad stück paar art arten jahr jahre jahren jahrhundert
tag tage stunden minuten sekunden woche wochen monat monate absatz absätze artikel nummer nummern satz
kapitel abschnitt seite seiten taste tasten teil teile rolle rollen anzahl zahl buchstabe halbsatz
ziffer anhang anlage paragraph mal uhr januar februar märz april mai juni juli august september oktober
november dezember montag dienstag mittwoch donnerstag freitag samstag sonntag gmbh ag kg ohg se mb gb kb
tb kwh mhz ghz abs art nr bzw usw pdf csv html xml json api url ki it pc tv id ii iii iv vi vii viii ix
xi xii xiii xiv xv xvi eur usd gbp hd fuß rad buch buches abschnitts unterabschnitt unterabschnitts
beispiel bezug grund hinweis hunderten tausenden ende anfang mitte form fall sinne rahmen herr herrn
frau
"""

_PLACES = """
deutschland österreich schweiz frankreich italien spanien portugal england schottland irland
großbritannien belgien niederlande luxemburg dänemark schweden norwegen finnland island polen tschechien
slowakei ungarn rumänien bulgarien griechenland kroatien serbien slowenien bosnien albanien estland
lettland litauen ukraine russland belarus türkei israel syrien irak iran ägypten libyen tunesien
algerien marokko nigeria kenia äthiopien südafrika kongo indien pakistan bangladesch china japan korea
südkorea nordkorea vietnam thailand indonesien malaysia singapur taiwan philippinen australien
neuseeland kanada mexiko kuba brasilien argentinien chile peru kolumbien venezuela bolivien ecuador
europa asien afrika amerika nordamerika südamerika antarktis bayern hessen sachsen thüringen brandenburg
niedersachsen saarland kalifornien florida texas berlin hamburg münchen köln frankfurt stuttgart
düsseldorf leipzig dresden bremen hannover nürnberg bonn wien zürich bern basel genf salzburg graz paris
london rom madrid barcelona lissabon brüssel amsterdam kopenhagen stockholm oslo helsinki warschau
krakau prag budapest moskau istanbul peking shanghai tokio washington chicago boston
"""
# stand before a noun, with or without an adjective between
DETERMINERS = frozenset(_DETERMINERS.split())
# what is counted, numbered or short for no name
MEASURES = frozenset(_MEASURES.split())
PLACES = frozenset(_PLACES.split())
