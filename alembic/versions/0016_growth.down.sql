drop function sigma.roll_up(date, text), sigma.growth(date, date, text, text[]), sigma.note_visits(json, text),
  sigma.growth_page(text), sigma.growth_host(text, text), sigma.growth_word(text);
drop table sigma.growth_days, sigma.visits;
