"""Writing specs with people: folders, answers to questions, previews, promotion. Pure.

``workspace`` is what ``anabranch init`` lays out; ``forms`` reads the short forms of flags;
``drafts`` makes documents of answers and specs of documents; ``preview`` tries the split;
``evidence`` judges whether results support a promotion; ``promotion`` and ``edits`` write the
winner into the canonical specs' files.
"""
