"""A physician's letter as a PDF, made up, for the demo and the tests."""

import json

import typst

_TEXT = """#let said = json(bytes(sys.inputs.said))
#set page(paper: "a4", margin: 2.5cm)
#set text(size: 11pt, lang: "fr")
#set document(title: said.title)
#for line in said.lines [ #line \\ ]
"""
_LINES = (
    "Centre de cardiologie de l'Essai",
    "Concerne : patiente réf. 4711, née en 1984",
    "",
    "Cher confrère, chère consœur,",
    "FA paroxystique depuis 2023, épisodes hebdomadaires de plusieurs heures.",
    "Antécédents : hypertension artérielle. Pas de diabète, pas d'AVC.",
    "Traitement : apixaban 2 × 5 mg, bisoprolol 5 mg, flécaïnide 2 × 100 mg (4 mois, sans effet).",
    "Échographie : FEVG 55 %, oreillette gauche 38 mL/m².",
    "Situation actuelle : palpitations invalidantes, examen clinique sans particularité.",
    "",
    "Confraternellement.",
)


def a_letter() -> bytes:
    """Return one page of PDF."""
    said = json.dumps({"title": "Courrier", "lines": _LINES}, ensure_ascii=False)
    pdf = typst.compile(_TEXT.encode(), sys_inputs={"said": said})
    if not isinstance(pdf, bytes):
        raise TypeError("typst made several files of one page")
    return pdf
